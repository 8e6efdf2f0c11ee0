// Builds `@strongroom/react` into `react/dist`: one module, React left to the shop.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  esbuild: { jsx: "automatic", legalComments: "none" },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2020",
    minify: false,
    lib: { entry: "index.ts", formats: ["es"], fileName: () => "index.js" },
    rollupOptions: { external: ["react", "react/jsx-runtime"] },
  },
});
