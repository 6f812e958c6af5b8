"""What several test files share; on the path of the tests, no part of the package."""
