import { FluvioError } from "./error.js";
import { builtIn, environment } from "./platform.js";

/** What the file of profiles says about one gateway. */
export interface Profile {
  endpoint: string;
  key: string | undefined;
}

const SECTION = /^\s*\[\s*(?:profile\.(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*)?/;
const PAIR = /^\s*([\w-]+)\s*=\s*(?:("(?:[^"\\]|\\.)*")|'([^']*)')/;

/** The texts of the file: those before the first section under "", those of a profile under its name. */
function parse(text: string): Map<string, Map<string, string>> {
  const sections = new Map([["", new Map<string, string>()]]);
  let pairs = sections.get("")!;
  for (const line of text.split("\n")) {
    const section = SECTION.exec(line);
    const pair = PAIR.exec(line);
    if (section) {
      pairs = new Map();
      sections.set(section[1] ?? section[2] ?? section[3] ?? line, pairs);
    } else if (pair) {
      pairs.set(pair[1]!, pair[2] === undefined ? pair[3]! : (JSON.parse(pair[2]) as string));
    }
  }
  return sections;
}

/**
 * The profile of this name, or the current one, of the file that the command line keeps: TIDEGATE_PROFILES, or
 * ~/.config/tidegate/profiles.toml. undefined where there is no file and nobody asked for it. Throws ClientConfig.
 */
export function loadProfile(name: string | undefined): Profile | undefined {
  const fs = builtIn<{ readFileSync: (path: string, encoding: "utf8") => string }>("fs");
  const os = builtIn<{ homedir: () => string }>("os");
  const named = environment("TIDEGATE_PROFILES");
  if (!fs || !os) {
    if (name === undefined) {
      return undefined;
    }
    throw new FluvioError("ClientConfig", "profiles are read in Node from 20.16 on; give the address as url here");
  }
  const path = named ?? `${os.homedir()}/.config/tidegate/profiles.toml`;
  let sections: Map<string, Map<string, string>>;
  try {
    sections = parse(fs.readFileSync(path, "utf8"));
  } catch (thrown) {
    if ((thrown as { code?: string }).code === "ENOENT" && name === undefined && named === undefined) {
      return undefined;
    }
    throw new FluvioError("ClientConfig", `the profiles in ${path} cannot be read: ${(thrown as Error).message}`, { cause: thrown });
  }
  const wanted = name ?? sections.get("")!.get("current") ?? "";
  const profile = wanted === "" ? undefined : sections.get(wanted);
  const endpoint = profile?.get("endpoint");
  if (endpoint === undefined) {
    throw new FluvioError("ClientConfig", `${path} has no profile "${wanted}" with an endpoint; tidegate profile list shows those it has`);
  }
  return { endpoint, key: profile?.get("key") };
}
