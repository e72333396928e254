import insitu as si

layer = si.nn.Dropout(20)
