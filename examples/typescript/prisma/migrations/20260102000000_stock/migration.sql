-- Written by hand: Prisma's schema has no word for it.
ALTER TABLE "Product" ADD CONSTRAINT "Product_stock_check" CHECK ("stock" >= 0);
