"""What is read of objects on Kubernetes."""
