"""Tests of live painting."""
