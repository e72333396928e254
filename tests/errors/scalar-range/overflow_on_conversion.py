import insitu as si

x = si.asarray([100, 200, 300], dtype="uint8")
