import { createHmac, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { SECRET, type Claims } from "./serve.ts";

/** Makes the signature of a token's first two parts. */
export type Signer = (signed: string) => Buffer;

/** Keys that the tests make for themselves. */
export const KEYS = {
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  otherRsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  p256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ed25519: generateKeyPairSync("ed25519"),
};

export const hmac =
  (key: string | Buffer, hash = "sha256"): Signer =>
  (signed) =>
    createHmac(hash, key).update(signed).digest();
export const rsa =
  (key: KeyObject, hash = "sha256"): Signer =>
  (signed) =>
    sign(hash, Buffer.from(signed), key);
export const ecdsa =
  (key: KeyObject): Signer =>
  (signed) =>
    sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
export const eddsa =
  (key: KeyObject): Signer =>
  (signed) =>
    sign(null, Buffer.from(signed), key);
/** A signature that is always these bytes. */
export const constant =
  (bytes: Buffer): Signer =>
  () =>
    bytes;

/** Seconds since 1970, so many from now. */
export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

const part = (text: string) => Buffer.from(text).toString("base64url");

/** A token of these very texts. */
export function tokenOfTexts(header: string, claims: string, signer: Signer = hmac(SECRET)): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${signer(signed).toString("base64url")}`;
}

/** A token that is good for five minutes, unless the claims say otherwise; `undefined` leaves one out. */
export function token(claims: Claims, header: object = {}, signer?: Signer): string {
  const all = { sub: "ada", exp: inSeconds(300), ...claims };
  return tokenOfTexts(JSON.stringify({ alg: "HS256", typ: "JWT", ...header }), JSON.stringify(all), signer);
}
