import { defineConfig } from 'prisma/config';

export default defineConfig({ schema: 'generated/schema.prisma' });
