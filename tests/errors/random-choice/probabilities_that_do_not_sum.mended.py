import insitu as si

rng = si.random.default_rng(0)
coins = rng.choice(2, 10, p=[0.5, 0.5])
