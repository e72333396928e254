import insitu as si

model = si.nn.Sequential([si.nn.Input((8, 8, 1))])
for filters in (8, 16, 32, 64):
    model.add(si.nn.Conv2D(filters, 3, padding="same"))
    model.add(si.nn.MaxPooling2D(padding="same"))
