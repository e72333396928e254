import insitu as si

settings = {"learning_rate": "1e-3"}
optimizer = si.optim.Adam(learning_rate=settings["learning_rate"])
