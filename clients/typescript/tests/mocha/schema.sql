CREATE TABLE fruit (id serial PRIMARY KEY, name text NOT NULL UNIQUE);
