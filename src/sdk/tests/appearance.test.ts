// What may be said about looks: every value that is not a colour, a length or a font is refused.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { VARIABLES, faultOf, isValue, propertyOf } from "../shared/appearance";

describe("appearance", () => {
  test("what a shop would say is taken", () => {
    const given = {
      theme: "dark",
      labels: "hidden",
      layout: "row",
      variables: {
        colorPrimary: "#0a7",
        colorText: "rgb(10 20 30 / 50%)",
        colorBorder: "hsl(210, 20%, 40%)",
        fontFamily: '"Inter", system-ui, sans-serif',
        fontSize: "1.125rem",
        fontWeight: "500",
        borderRadius: "0",
        spacing: "1em",
      },
    };
    expect(faultOf(given)).toBeUndefined();
  });

  test.each([
    ["colorText", "url(https://evil.example)"],
    ["colorText", "red; background: url(x)"],
    ["colorText", "expression(alert(1))"],
    ["colorText", "var(--x)"],
    ["colorText", "rgb(1,2,3) url(x)"],
    ["colorBackground", "image-set('x' 1x)"],
    ["fontFamily", "x; } * { color: red"],
    ["fontFamily", "url(x)"],
    ["fontFamily", "\\75 rl"],
    ["fontSize", "1px"],
    ["fontSize", "400px"],
    ["fontSize", "calc(1px + 1em)"],
    ["borderRadius", "-4px"],
    ["borderRadius", "100vh"],
    ["spacing", "99px"],
    ["fontWeight", "bold"],
    ["colorText", `#${"a".repeat(300)}`],
  ] as const)("%s: %s is refused", (name, value) => {
    expect(isValue(name, value)).toBe(false);
    expect(faultOf({ variables: { [name]: value } })?.at).toBe(name);
  });

  test("what there is not is named", () => {
    expect(faultOf({ variables: { constructor: "#fff" } })?.at).toBe("constructor");
    expect(faultOf({ variables: { zIndex: "1" } })?.at).toBe("zIndex");
    expect(faultOf({ rules: {} })?.at).toBe("rules");
    expect(faultOf({ theme: "pink" })?.at).toBe("theme");
    expect(faultOf([])?.at).toBe("appearance");
    expect(faultOf({ variables: "x" })?.at).toBe("variables");
  });

  test("every variable is used by the fields and has a starting value", () => {
    const css = readFileSync(join(__dirname, "../fields/fields.css"), "utf8");
    for (const name of VARIABLES) {
      expect(css).toContain(`${propertyOf(name)}:`);
      expect(css).toContain(`var(${propertyOf(name)})`);
    }
  });
});
