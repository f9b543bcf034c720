import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // images stay files: the content policy needs no exception for them
    chunkSizeWarningLimit: 1500, // kB; livekit-client is most of it
  },
});
