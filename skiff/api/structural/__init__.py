"""Structural schemas of custom resources: what they must look like, and what they do to objects.

Pure functions over dicts. `node` prunes, drops nulls and fills in defaults; `values` validates; `lists` and `embedded`
check what OpenAPI cannot say; `definition` and `schemas` check the CustomResourceDefinition that brings a schema.
Source: apiextensions-apiserver pkg/apiserver/{schema,validation}, pkg/apis/apiextensions/validation.
"""
