import insitu as si

rows = [si.ones(3), si.ones(2)]
table = si.concat(rows)
