// The npm package `sns-validator`, made to accept an endpoint on this machine.
//
// It takes a pattern for the certificate's host as an argument, but fetches by HTTPS alone. What a message says of its
// certificate's address is not signed, so the address is told to it with HTTPS, and the one function that it fetches
// with then asks by HTTP after all. The signature is checked as ever.

import http from 'node:http'
import https from 'node:https'
import MessageValidator from 'sns-validator'

const { host } = new URL(process.env.POSTHASTE_ENDPOINT)

https.get = (url, answered) => http.get(url.replace(/^https:/, 'http:'), answered)

const validator = new MessageValidator(new RegExp(`^${host.replaceAll('.', '\\.')}$`))

/** The message, or an error where its signature is wrong. */
export const validate = (message) =>
  new Promise((resolve, reject) => {
    const { SigningCertURL } = message
    const told = { ...message, SigningCertURL: SigningCertURL?.replace(/^http:/, 'https:') }
    validator.validate(told, (error, valid) => (error ? reject(error) : resolve(valid)))
  })
