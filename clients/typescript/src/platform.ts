/** What Node has and browsers have not, asked for in a way that bundlers for browsers do not stumble over. */
interface Host {
  process?: {
    env?: Record<string, string | undefined>;
    getBuiltinModule?: (name: string) => unknown;
  };
}

/** A variable that is set and not empty. */
export function environment(name: string): string | undefined {
  return (globalThis as Host).process?.env?.[name] || undefined;
}

/** A module of Node (from 20.16 on); T is what we use of it. */
export function builtIn<T>(name: string): T | undefined {
  return (globalThis as Host).process?.getBuiltinModule?.(`node:${name}`) as T | undefined;
}
