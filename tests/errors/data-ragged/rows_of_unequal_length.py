import insitu as si

reviews = [[4, 8, 15], [16, 23], [42]]
stars = [1, 0, 1]
model = si.nn.Sequential([si.nn.Embedding(50, 4), si.nn.Flatten(), si.nn.Dense(1)])
model.compile("adam", "mse")
model.fit(reviews, stars, verbose=0)
