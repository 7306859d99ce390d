const TOKEN = /slc_[A-Za-z0-9_.~+/=-]*/g;
/** An id token: three parts in base64, of which the first is a JSON object. */
const JWT = /eyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g;

/** People paste tokens where they do not belong, and messages quote what was found. */
export const withoutTokens = (text: string): string =>
  text.replace(TOKEN, 'slc_[removed]').replace(JWT, 'eyJ[removed]');
