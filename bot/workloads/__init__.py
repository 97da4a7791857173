"""What is known of workloads on Kubernetes: how the objects are read, who fights over them, when they are well.

Most of it is pure, on objects as the API answers them; what has to look asks through `clusters.Cluster`. Facts are the
controllers' own, read in their sources; each file says where. Actions in `commands/` are made of these parts.
"""
