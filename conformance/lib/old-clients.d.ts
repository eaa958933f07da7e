// The types of these releases cannot be found through their package's "exports".
declare module "socket.io-client-402" {
  export function io(url: string, options: object): unknown;
}

declare module "socket.io-client-313" {
  export function io(url: string, options: object): unknown;
}
