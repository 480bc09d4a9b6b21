CREATE TABLE "Customer" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "email" TEXT NOT NULL
);
CREATE UNIQUE INDEX "Customer_email_key" ON "Customer"("email");

CREATE TABLE "Order" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "total" INTEGER NOT NULL,
    "customerId" INTEGER NOT NULL REFERENCES "Customer"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
