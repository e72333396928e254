import insitu as si

si.config.threads = 2
