// Vite build: one page, hashed files, nothing inline (the server sends a strict CSP).
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

// Svelte's error texts name its web site. The page must not mention a host it never talks to,
// and a test of the appliance greps the built files for one.
function withoutForeignAddresses(): Plugin {
  return {
    name: 'cairn:without-foreign-addresses',
    renderChunk(code) {
      return { code: code.replaceAll('https://svelte.dev/e/', 'svelte error '), map: null };
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [svelte(), withoutForeignAddresses()],
  build: {
    target: ['es2022', 'chrome111', 'firefox114', 'safari16.4'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    // `npm run dev` shows a running appliance through the development server.
    // The appliance answers to its own host name only, so the proxy has to use that.
    proxy: {
      '/api': {
        target: process.env.CAIRN_URL ?? 'http://127.0.0.1:8420',
        changeOrigin: true,
        secure: false,
      },
    },
  },
});
