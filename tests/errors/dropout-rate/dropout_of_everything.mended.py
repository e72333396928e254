import insitu as si

layer = si.nn.Dropout(rate=0.5)
