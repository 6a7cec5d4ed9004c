"""Measurements that a user can repeat; nothing else imports this package."""
