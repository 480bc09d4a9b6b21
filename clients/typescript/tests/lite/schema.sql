CREATE TABLE fruit (name text);
