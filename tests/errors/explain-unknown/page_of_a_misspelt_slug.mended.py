import insitu as si

print(si.explain("fit-not-compiled")[:20])
