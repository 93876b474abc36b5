import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The control plane serves the built files under /ui/. While developing, calls of the Admin API go to a
// running `tidegate standalone`, by default on this machine.
const admin = process.env.TIDEGATE_ADMIN_URL ?? "http://127.0.0.1:8001";

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  server: { proxy: { "/v1": admin, "/docs": admin } },
  build: {
    target: "es2022",
    // An inlined font would be a data: URL, which the content security policy refuses.
    assetsInlineLimit: 0,
    // Emptied at each build; public/.keep puts back the committed dist/.keep, with which the control plane
    // builds where there is no Node.
    emptyOutDir: true,
    chunkSizeWarningLimit: 700,
  },
});
