"""The controllers: one package per kind of resource, independent of each other."""
