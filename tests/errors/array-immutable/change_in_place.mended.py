import insitu as si

x = si.zeros(5)
x = x.at[2].set(1.0)
