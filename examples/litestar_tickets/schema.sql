create table tickets (
    id int generated always as identity primary key,
    subject text not null check (subject <> ''),
    urgent boolean not null default false,
    clerk text
);
create index on tickets (urgent desc, id) where clerk is null;
