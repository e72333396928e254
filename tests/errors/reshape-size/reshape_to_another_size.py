import insitu as si

images = si.ones((60, 28, 28))
flat = images.reshape((60, 28 * 27))
