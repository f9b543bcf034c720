// Starts Debian's Chromium or Firefox with fake devices and a fresh profile.

import puppeteer from "puppeteer-core";

export async function launchBrowser(options) {
  if (options.browser === "chromium") return launchChromium(options);
  if (options.browser === "firefox") return launchFirefox(options);
  throw new Error(`unknown browser ${options.browser}`);
}

// options: executable, audio_file, video_file (paths), capture_title (which tab to share)
function launchChromium(options) {
  const args = [
    "--no-sandbox", // tests run as root in containers, where the setuid sandbox cannot start
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage", // containers give /dev/shm 64 MB
    "--no-first-run",
    `--use-file-for-fake-audio-capture=${options.audio_file}`,
    `--use-file-for-fake-video-capture=${options.video_file}`,
    `--auto-select-tab-capture-source-by-title=${options.capture_title}`,
    "--disable-gpu", // there is none, and imitating one costs more than drawing without
  ];
  return puppeteer.launch({
    browser: "chrome",
    executablePath: options.executable,
    headless: true,
    timeout: 0, // driver.mjs keeps the time
    pipe: true, // no debugging port for others on this machine to open
    acceptInsecureCerts: true, // the development server's authority is made afresh each time
    args,
    ignoreDefaultArgs: ["--mute-audio"], // it would also mute the sound of a shared tab
    handleSIGTERM: false, // driver.mjs closes the browser itself
  });
}

// options: executable, display, tone_hz
function launchFirefox(options) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath: options.executable,
    timeout: 0,
    headless: false, // getDisplayMedia fails in headless Firefox
    acceptInsecureCerts: true,
    env: { ...process.env, DISPLAY: options.display, MOZ_ENABLE_WAYLAND: "0" },
    // The page fills the display, which is what a shared screen then shows. Without a window manager
    // `--kiosk` alone leaves a margin.
    args: ["--kiosk", "--width", "1280", "--height", "720"],
    handleSIGTERM: false,
    extraPrefsFirefox: {
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.navigator.audio.fake_frequency": options.tone_hz,
      "media.peerconnection.ice.loopback": true,
      // Without leave to use a device it gathers the default route's address only, never loopback.
      "permissions.default.microphone": 1,
      "permissions.default.camera": 1,
      "media.peerconnection.ice.obfuscate_host_addresses": false,
      "media.autoplay.default": 0,
      "media.autoplay.blocking_policy": 0,
      "media.navigator.load_adapt": false, // a busy test machine is no reason for a smaller picture
      // The white bar that says "You are sharing" would lie on the shared pattern.
      "privacy.webrtc.hideGlobalIndicator": true,
      // A page that watches while another tab is in front looks as often, not once a second.
      "dom.min_background_timeout_value": 4,
      "dom.min_background_timeout_value_without_budget_throttling": 4,
      "dom.timeout.enable_budget_timer_throttling": false,
      "media.gmp-manager.url": "",
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      "gfx.webrender.software": true,
      // Canvas readback would otherwise return noise under fingerprinting protection.
      "privacy.resistFingerprinting": false,
      "privacy.fingerprintingProtection": false,
    },
  });
}
