import insitu as si

x = si.asarray([1 + 2j, 3 - 1j])
