"""AWS: S3, STS and Secrets Manager through boto3."""
