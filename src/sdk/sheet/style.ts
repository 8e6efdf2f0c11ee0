// The sheet's looks. Every value that a shop may change is a variable of shared/appearance.ts, with the fields' own beginnings.

const LIGHT = `
--sr-color-text:#171b26;--sr-color-label:#3b4256;--sr-color-placeholder:#6a7183;--sr-color-background:#ffffff;
--sr-color-border:#868fa0;--sr-color-primary:#2f55e0;--sr-color-danger:#b3261e;
--good:#0f7a4a;--line:#d8dde6;--shade:#f6f7fa;--on-primary:#ffffff;`;

const DARK = `
--sr-color-text:#f3f5fa;--sr-color-label:#c8cedc;--sr-color-placeholder:#9aa3b6;--sr-color-background:#171b24;
--sr-color-border:#727c91;--sr-color-primary:#8fa9ff;--sr-color-danger:#ff8d83;
--good:#6fdca8;--line:#343c4c;--shade:#1e2430;--on-primary:#10131c;`;

/** One style for the sheet and for the dialog around a bank's page. */
export const STYLE = `
:host{${LIGHT}
--sr-font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif;
--sr-font-size:16px;--sr-font-weight:400;--sr-label-size:14px;--sr-label-weight:500;
--sr-border-radius:8px;--sr-border-width:1px;--sr-spacing:14px;--sr-padding-x:12px;--sr-padding-y:11px;
display:block;color-scheme:light}
:host([data-theme="dark"]){${DARK}color-scheme:dark}
@media (prefers-color-scheme:dark){:host([data-theme="auto"]){${DARK}color-scheme:dark}}
*,*::before,*::after{box-sizing:border-box}
[hidden]{display:none!important}
.sheet,.dialog{font-family:var(--sr-font-family);font-size:var(--sr-font-size);font-weight:var(--sr-font-weight);
line-height:1.4;color:var(--sr-color-text);text-align:start;-webkit-font-smoothing:antialiased}
.sheet{display:grid;gap:var(--sr-spacing)}
.view{display:grid;gap:var(--sr-spacing);min-width:0}
.head{display:flex;align-items:baseline;justify-content:space-between;gap:12px}
h2,p{margin:0}
h2{font-size:1.0625em;font-weight:600;line-height:1.3}
h2:focus,.notice:focus{outline:0}
.options{display:grid;gap:10px}
.option{border:1px solid var(--line);border-radius:calc(var(--sr-border-radius) + 4px);background:var(--sr-color-background);
transition:border-color 140ms ease,box-shadow 140ms ease}
.option.chosen{border-color:var(--sr-color-primary);box-shadow:0 0 0 1px var(--sr-color-primary)}
.option.only{border:0;box-shadow:none;background:transparent}
.row{display:flex;flex-wrap:wrap;align-items:center;gap:8px 12px;padding:14px;cursor:pointer;border-radius:inherit}
.option:not(.chosen) .row:hover{background:var(--shade)}
.row:has(input:focus-visible){outline:3px solid color-mix(in srgb,var(--sr-color-primary) 45%,transparent);outline-offset:2px}
.row input:focus-visible{outline:0}
.stale .row{cursor:default}
.stale .name,.stale .mark{opacity:.62}
input[type=radio],input[type=checkbox]{flex:none;width:18px;height:18px;margin:0;accent-color:var(--sr-color-primary)}
.mark{flex:none;width:36px;height:24px;display:block;color:var(--sr-color-placeholder)}
.text{flex:1 1 8.5em;min-width:0;display:grid;gap:1px}
.name{overflow-wrap:anywhere;font-weight:500;font-variant-numeric:tabular-nums}
.meta{font-size:var(--sr-label-size);color:var(--sr-color-placeholder);font-variant-numeric:tabular-nums}
.tag{flex:none;margin-inline-start:auto;font-size:12px;font-weight:600;line-height:1;padding:5px 8px;border-radius:99px;color:var(--sr-color-label);
background:var(--shade);border:1px solid var(--line)}
.tag.bad{color:var(--sr-color-danger)}
.inside{padding:0 14px 14px;display:grid;gap:12px;min-width:0}
.only .inside{padding:0}
.cvc{max-width:220px}
.fields{min-height:86px}
.fields,.cvc{min-width:0}
.acts{display:flex;flex-wrap:wrap;gap:8px;padding:0 14px 14px}
.ask{padding:12px 14px;margin:0 14px 14px;border-radius:var(--sr-border-radius);background:var(--shade);display:grid;gap:10px}
.buttons{display:flex;flex-wrap:wrap;gap:8px}
button{font:inherit;color:inherit;cursor:pointer;border-radius:var(--sr-border-radius);min-height:36px}
button:focus-visible{outline:3px solid color-mix(in srgb,var(--sr-color-primary) 55%,transparent);outline-offset:2px}
.quiet{border:0;background:transparent;color:var(--link,var(--sr-color-primary));font-size:var(--sr-label-size);font-weight:600;padding:6px 8px;
margin:-6px -8px;white-space:nowrap}
.quiet:hover{text-decoration:underline}
.small{font-size:var(--sr-label-size);font-weight:500;padding:6px 12px;border:1px solid var(--sr-color-border);background:var(--sr-color-background)}
.small:hover{background:var(--shade)}
.small.danger{color:var(--sr-color-danger);border-color:currentColor}
.save{display:flex;align-items:center;gap:10px;cursor:pointer;font-size:var(--sr-label-size);color:var(--sr-color-label)}
.save input:focus-visible{outline:3px solid color-mix(in srgb,var(--sr-color-primary) 45%,transparent);outline-offset:2px}
.note{font-size:var(--sr-label-size);color:var(--sr-color-label)}
.notice{display:flex;gap:10px;padding:11px 14px;border-radius:var(--sr-border-radius);font-size:.9375em;color:var(--sr-color-danger);
background:color-mix(in srgb,var(--sr-color-danger) 9%,var(--sr-color-background));border:1px solid color-mix(in srgb,var(--sr-color-danger) 35%,transparent)}
.notice:empty,.offline:empty{display:none}
.offline{padding:11px 14px;border-radius:var(--sr-border-radius);font-size:.9375em;background:var(--shade);border:1px solid var(--line)}
.pay{position:relative;display:flex;align-items:center;justify-content:center;gap:10px;width:100%;min-height:50px;padding:12px 18px;
border:1px solid transparent;font-weight:600;font-variant-numeric:tabular-nums;background:var(--sr-color-primary);color:var(--on-primary);
transition:filter 140ms ease,transform 140ms ease}
.pay:hover:not([aria-disabled=true]){filter:brightness(1.08)}
.pay:active:not([aria-disabled=true]){transform:translateY(1px)}
.pay[aria-disabled=true]{cursor:default}
.pay[aria-disabled=true]:not([aria-busy=true]){opacity:.55}
.spin{width:18px;height:18px;border-radius:50%;border:2.5px solid currentColor;border-inline-end-color:transparent;animation:turn 800ms linear infinite}
@keyframes turn{to{transform:rotate(1turn)}}
.secure{display:flex;align-items:flex-start;justify-content:center;gap:6px;font-size:13px;color:var(--sr-color-placeholder)}
.drawing{flex:none;width:18px;height:18px;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.end{justify-items:center;text-align:center;padding:18px 6px;gap:10px}
.end h2{font-size:1.25em}
.end p{color:var(--sr-color-label);max-width:44ch}
.end .pay{width:auto;min-width:220px;margin-top:8px}
.badge{display:grid;place-items:center;width:60px;height:60px;margin-bottom:4px;border-radius:50%;color:var(--sr-color-primary);
background:color-mix(in srgb,currentColor 13%,transparent);animation:rise 320ms cubic-bezier(.2,.9,.3,1.3)}
.badge .drawing{width:30px;height:30px;stroke-width:2.2}
.badge.good{color:var(--good)}
.badge.bad{color:var(--sr-color-danger)}
@keyframes rise{from{transform:scale(.6);opacity:0}}
.bone{height:54px;border-radius:calc(var(--sr-border-radius) + 4px);background:linear-gradient(90deg,var(--shade),var(--line),var(--shade));
background-size:200% 100%;animation:sheen 1400ms linear infinite}
@keyframes sheen{to{background-position:-200% 0}}
.unseen{position:absolute;width:1px;height:1px;margin:-1px;padding:0;border:0;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.dialog{width:min(560px,calc(100vw - 24px));max-width:none;max-height:calc(100dvh - 24px);padding:0;border:1px solid var(--line);
border-radius:14px;background:var(--sr-color-background);box-shadow:0 24px 70px rgba(10,14,26,.35);overflow:hidden}
.dialog[open]{display:flex;flex-direction:column}
.dialog::backdrop{background:rgba(12,16,28,.55)}
.dialog-head,.dialog-foot{display:flex;align-items:center;justify-content:space-between;gap:12px;padding:14px 18px}
.dialog-foot{justify-content:center;padding:10px 18px}
.dialog-title{font-size:1em}
.bank{display:block;width:100%;height:min(560px,70dvh);border:0;border-block:1px solid var(--line);background:#fff}
@media (prefers-reduced-motion:reduce){*,*::before,*::after{animation-duration:0s!important;animation-iteration-count:1!important;transition:none!important}
.spin{border-inline-end-color:currentColor;opacity:.6}}
@media (forced-colors:active){.option.chosen{outline:2px solid Highlight}.pay{border-color:ButtonText}}
`;
