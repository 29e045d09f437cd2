-- One search over what people look for by name or number.

create extension if not exists pg_trgm;
