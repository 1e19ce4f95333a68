/* Search in pages that are opened as files: a browser starts no worker from a file, so the worker's script runs in a hidden frame instead. */
(() => {
  if (location.protocol !== "file:") return;
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.onmessage = this.onerror = this.onmessageerror = null;
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => setTimeout(() => this.tell("message", { data }));
      inside.importScripts = (...addresses) => addresses.reduce((before, each) => before.then(() => this.load(each)), Promise.resolve());
      this.ready = this.load(new URL(address, document.baseURI));
      this.ready.catch((error) => this.tell("error", { message: String(error) }));
    }
    load(address) {
      return new Promise((done, failed) => {
        const script = this.frame.contentDocument.createElement("script");
        Object.assign(script, { src: String(address), onload: done, onerror: () => failed(new Error(`${address} was not loaded`)) });
        this.frame.contentDocument.documentElement.append(script);
      });
    }
    tell(kind, about) {
      const event = kind === "message" ? new MessageEvent(kind, about) : new ErrorEvent(kind, about);
      this[`on${kind}`]?.(event);
      this.dispatchEvent(event);
    }
    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow?.dispatchEvent(new MessageEvent("message", { data })), () => {});
    }
    terminate() {
      this.frame.remove();
    }
  };
})();
