import insitu as si

layer = si.nn.Dropout(rate=1.0)
