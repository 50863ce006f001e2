"""The city of ``suifang bench api``: its people in a database, its readers before the API."""
