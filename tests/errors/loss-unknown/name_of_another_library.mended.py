import insitu as si

model = si.nn.Sequential([si.nn.Dense(10)])
model.compile("adam", loss=si.nn.losses.CategoricalCrossentropy(from_logits=True))
