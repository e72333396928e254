import insitu as si

count = si.zeros(3, dtype="uint8")
count = count - (-1)
