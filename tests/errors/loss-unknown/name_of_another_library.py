import insitu as si

model = si.nn.Sequential([si.nn.Dense(10)])
model.compile("adam", loss="cross_entropy")
