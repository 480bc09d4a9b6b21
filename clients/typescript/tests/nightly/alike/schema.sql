create table product (
  id serial primary key,
  name text not null unique,
  stock int not null default 10 check (stock >= 0)
);
insert into product (name) select 'product ' || n from generate_series(1, 5) n;

create table orders (id bigserial primary key, product_id int not null references product on delete cascade);
insert into orders (product_id) values (1), (2);

create sequence ticket start 100;
