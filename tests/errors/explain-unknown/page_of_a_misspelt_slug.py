import insitu as si

print(si.explain("fit-not-compile")[:20])
