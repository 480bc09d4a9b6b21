"""The harness behind HTTP: workers, copies and templates for test runners in any language."""
