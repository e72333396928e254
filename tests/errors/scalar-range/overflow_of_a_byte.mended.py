import insitu as si

pixels = si.asarray([100, 200], dtype="uint8")
brighter = pixels.astype("int32") + 300
