import insitu as si

image = si.ones((28, 28))
red = image[:, 0]
