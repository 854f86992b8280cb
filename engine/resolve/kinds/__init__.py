"""The kinds of routes: a file each, with one `ROUTE_KIND`; nothing here knows listeners or another kind."""
