import insitu as si

si.config.num_threads = 2
